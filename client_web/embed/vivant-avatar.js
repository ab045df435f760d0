// vivant-avatar, a portrait that speaks. SPDX-License-Identifier: Apache-2.0
// Made by `npm run embed` from client_web/avatar; change that, not this.
// Sources: client_web/avatar/attributes.js client_web/avatar/element.js client_web/avatar/index.js client_web/avatar/place.js client_web/avatar/styles.js client_web/avatar/surface.js client_web/avatar/vocabulary.js client_web/avatar/voice.js client_web/caption_line.js client_web/compositor.js client_web/connection.js client_web/device_words.js client_web/dom.js client_web/events.js client_web/hush.js client_web/peer.js client_web/reattach.js client_web/renewal.js client_web/retry.js client_web/server.js client_web/words.js
// sha256 of them: 80737023aacb40c38e7747a394cb30f1b8f03d1929bad012b1ebb3b3a81d2fc5

var ot=Object.defineProperty;var w=(n,t,e)=>()=>{if(e)throw e[0];try{return n&&(t=n(n=0)),t}catch(s){throw e=[s],s}};var x=(n,t)=>{for(var e in t)ot(n,e,{get:t[e],enumerable:!0})};function D(n,{retryAfter:t=null,random:e=Math.random}={}){let i=Math.min(15,.5*2**(n-1))*(1-e()/4);return Math.max(i,t??0)}function d(n){return new Promise(t=>setTimeout(t,n))}var T=w(()=>{"use strict"});async function q(n){let t=Number.parseFloat(n.headers.get("Retry-After")??""),e=Number.isFinite(t)?t:null,s=await n.json().catch(()=>null),i=String(s?.error?.code??"refused"),r=String(s?.error?.message??`The server answered ${n.status}.`);return new c({status:n.status,code:i,message:r,retryAfter:e})}var c,g,at,ct,y,b=w(()=>{"use strict";c=class extends Error{constructor({status:t,code:e,message:s,retryAfter:i}){super(s),this.name="ApiError",this.status=t,this.code=e,this.retryAfter=i}},g=class extends Error{constructor(t){super("The server cannot be reached.",{cause:t}),this.name="NetworkError"}},at=3e4,ct=3e3,y=class{#t;token;constructor(t,e=null){this.#t=new URL(t),this.token=e}address(t){return new URL(t,this.#t)}getInfo(){return this.request("GET","v1/info")}getVoices(){return this.request("GET","v1/voices")}getPortraits(){return this.request("GET","v1/portraits")}portraitImage(t){return this.address(`v1/portraits/${encodeURIComponent(t)}/image`).href}async showPortrait(t){if(this.token===null)return this.portraitImage(t);let e=await fetch(this.portraitImage(t),{headers:this.#s});if(!e.ok)throw await q(e);return URL.createObjectURL(await e.blob())}uploadBackground(t){let e=new FormData;return e.append("image",t,"background"),this.request("POST","v1/backgrounds",e)}createSession(t){return this.request("POST","v1/sessions",JSON.stringify(t))}resumeSession(t,e){return this.request("POST",`v1/sessions/${t}/resume`,JSON.stringify({token:e}),ct)}updateSession(t,e){return this.request("PATCH",`v1/sessions/${t}`,JSON.stringify(e))}sendOffer({session_id:t,token:e},s){let i={type:"offer",sdp:s,token:e};return this.request("POST",`v1/sessions/${t}/offer`,JSON.stringify(i))}async deleteSession(t){let e={method:"DELETE",keepalive:!0,headers:this.#s};await fetch(this.address(`v1/sessions/${t}`),e).catch(s=>{throw new g(s)})}get#s(){return this.token===null?{}:{Authorization:`Bearer ${this.token}`}}async request(t,e,s,i=at){let r=this.#s,o={method:t,headers:r,signal:AbortSignal.timeout(i),cache:"no-store"};s!==void 0&&(o.body=s),typeof s=="string"&&(r["Content-Type"]="application/json");let a;try{a=await fetch(this.address(e),o)}catch(h){throw new g(h)}if(!a.ok)throw await q(a);return a.status===204?null:a.json()}}});var B={};x(B,{Events:()=>M,readMessage:()=>F});function F(n){if(typeof n!="string")return null;let t;try{t=JSON.parse(n)}catch{return null}return typeof t=="object"&&t!==null&&"type"in t?t:null}var M,H=w(()=>{"use strict";M=class{roundTrip=null;opened;ended;attached;seq=0;isRefused=!1;#t;#s=performance.now();constructor(t,e,s=null,i=0){let r=new URL(t);this.seq=i,r.searchParams.set("after",`${i}`),r.protocol=r.protocol.replace("http","ws");let o=new WebSocket(r,s===null?[]:["vivant",`vivant-token.${s}`]);this.#t=o,this.opened=new Promise((h,v)=>{o.addEventListener("open",()=>h()),o.addEventListener("close",()=>v(new Error("The event line did not open.")))}),this.opened.catch(()=>{});let a=()=>{};this.attached=new Promise(h=>a=h),this.ended=new Promise(h=>{let v=null;o.addEventListener("message",m=>{let l=F(m.data);l!==null&&(this.seq=l.seq??this.seq,l.type==="session.closed"&&(v=l.reason),l.type==="events.attached"&&a(l.lost!==null),this.#n(l,e))});let f=setInterval(()=>{performance.now()-this.#s>12e3&&o.close(),this.send({type:"ping",t:performance.now()})},2e3);o.addEventListener("close",({code:m})=>{clearInterval(f),this.isRefused=m===1008,h(v)})})}send(t){return this.#t.readyState!==WebSocket.OPEN?!1:(this.#t.send(JSON.stringify(t)),!0)}close(){this.#t.close()}#n(t,e){this.#s=performance.now(),t.type==="pong"?this.roundTrip=performance.now()-t.t:e(t)}}});function mt(n,t){let e=n.samples-t.samples;return e>0?(n.seconds-t.seconds)/e*1e3:null}var dt,pt,ft,W,_,z=w(()=>{"use strict";T();dt=48,pt=20,ft=40,W=3e3,_=class{#t;#s=0;constructor(t){this.#t=t}async hold(){let t=this.#n();await d(W),this.#e(t)}async begin(){let t=this.#n(),e=this.played,s=performance.now()+W,i=await this.#i(),r=!1;for(;!r&&t===this.#s&&performance.now()<s;){await d(pt);let o=mt(await this.#i(),i),a=((this.played??0)-(e??0)>>>0)/dt;r=o!==null&&a>o+ft}this.#e(t)}#n(){return this.#t.track.enabled=!1,++this.#s}#e(t){t===this.#s&&(this.#t.track.enabled=!0)}get played(){return this.#t.getSynchronizationSources()[0]?.rtpTimestamp}async#i(){for(let t of(await this.#t.getStats()).values())if(t.type==="inbound-rtp")return{samples:t.jitterBufferEmittedCount??0,seconds:t.jitterBufferDelay??0};return{samples:0,seconds:0}}}});var Y={};x(Y,{Peer:()=>$});function yt(n){return n.replaceAll(`a=end-of-candidates\r
`,"")}var vt,wt,gt,$,J=w(()=>{"use strict";z();T();vt=2e3,wt=5e3,gt=16384,$=class{stream=new MediaStream;#t;#s;#n;ended;#e=null;constructor(t,{channel:e=!1}={}){this.#t=new RTCPeerConnection({iceServers:t,bundlePolicy:"max-bundle"});let s=this.#t.addTransceiver("audio",{direction:"sendrecv"});if(this.#t.addTransceiver("video",{direction:"recvonly"}),this.#n=s.sender,e){let i={ordered:!1,maxRetransmits:0};this.#e=this.#t.createDataChannel("events",i)}this.#s=new _(s.receiver),this.#t.addEventListener("track",({track:i})=>this.stream.addTrack(i)),this.ended=new Promise(i=>this.#i(i))}async open(t){let e=this.#t;await e.setLocalDescription(await e.createOffer()),await Promise.race([this.#r(),d(vt)]);let s=await t(yt(e.localDescription?.sdp??""));await e.setRemoteDescription(s),await this.#c()}async setMicrophone(t){await this.#n.replaceTrack(t)}mute(){this.#s.hold()}hush(){this.#s.begin()}sendLossy(t){return this.#e?.readyState!=="open"||this.#e.bufferedAmount>gt?!1:(this.#e.send(t),!0)}get soundTime(){return this.#s.played}stats(){return this.#t.getStats()}close(){this.#t.close()}#i(t){let e=this.#t,s=0;e.addEventListener("connectionstatechange",()=>{clearTimeout(s);let i=e.connectionState;(i==="failed"||i==="closed")&&t(),i==="disconnected"&&(s=setTimeout(t,wt))})}#r(){let t=this.#t;return new Promise(e=>{let s=()=>t.iceGatheringState==="complete"&&e();t.addEventListener("icegatheringstatechange",s),s()})}#c(){let t=this.#t;return new Promise(e=>{let s=()=>t.connectionState==="connected"&&e();t.addEventListener("connectionstatechange",s),s()})}}});var V={};x(V,{renew:()=>Et});async function Et(n,t,e){let s=t.token!==void 0;if(!s&&n.token===null)return;let i=s?(t.expires_in??0)/2:0;for(;;){if(await d(1e3*i),!e())return;try{let r=await n.request("POST",`v1/sessions/${t.session_id}/tokens`);s&&(t.token=r.token),n.token!==null&&(n.token=r.token),i=r.expires_in/2}catch(r){if(r instanceof c&&r.status<500)return;i=bt}}}var bt,X=w(()=>{"use strict";T();b();bt=30});var K={};x(K,{reattach:()=>xt});async function xt(n,t,e){let s=t.soundTime,i=performance.now();for(let r=Tt;e();r=Math.min(2*r,St)){let o=n(),a=await Promise.race([o.attached,o.ended.then(()=>null),d(kt).then(()=>null)]);if(a===!0&&e())return o;if(o.close(),a===!1)return"moved";if(o.isRefused)return null;await d(r*(1-Math.random()/4));let h=performance.now();if(t.soundTime!==s)[s,i]=[t.soundTime,h];else if(h-i>At)return null}return null}var Tt,St,kt,At,Q=w(()=>{"use strict";T();Tt=250,St=2e3,kt=3e3,At=1e3});T();b();b();var ht={no_face:"Choose a picture in which the whole face can be seen.",face_too_small:"Choose a picture in which the face is larger, or move the frame close to it.",face_turned:"Choose a picture that looks towards the viewer.",mouth_covered:"Choose a picture with nothing in front of the mouth.",image_unreadable:"JPEG, PNG and WebP pictures work.",image_too_large:"Choose a smaller picture.",face_denied:"Choose a picture of somebody else."};function S(n){return n instanceof c?lt(n.code,n.message):n instanceof g?navigator.onLine?"The server cannot be reached.":"This device is offline.":"Something unexpected went wrong. Reloading the page may help."}function lt(n,t){let e=ht[n];return e===void 0?t:`${t} ${e}`}function j(n,t){let e=n===1?"You are next":`Number ${n} in line`,s="Others are with the portrait just now.";return{title:e,message:t===null?s:`${s} Your turn comes in ${ut(t)}.`}}function ut(n){if(n<45)return`about ${n} seconds`;let t=Math.round(n/60);return t===1?"about a minute":`about ${t} minutes`}var _t=15e3,Lt=.1,Pt={client:"The session was ended.",idle:"The portrait went to rest after a while without anyone speaking.",time:"The longest time for one visit is over.",lost:"The connection was lost for too long.",revoked:"The key behind this session is valid no more.",shutdown:"The server is restarting.",failed:"The session broke off on the server."},L=class{#t;#s=null;#n=null;#e=null;#i=null;#r=null;#c=null;#d="puppet";#a=!1;#l=()=>{};#u;#o;constructor(t,e={}){this.#t=t,this.#u=e,this.#o=e.server??new y(document.baseURI)}get roundTrip(){return this.#i?.roundTrip??null}get session(){return this.#s===null?null:this.#n}async stats(){return await this.#r?.stats()??null}start(){this.#a||(this.#a=!0,this.#p())}stop(){this.#a=!1,this.#l(),this.#s??=this.#e?.session_id??null,this.#e=null,this.#E()}retry(){this.#l()}send(t){return this.#i?.send(t)??!1}interrupt(){this.send({type:"interrupt"})&&this.#r?.mute()}sendLossy(t){return this.#r?.sendLossy(JSON.stringify(t))??!1}async update(t){this.#s!==null&&await this.#o.updateSession(this.#s,t)}async request(t,e,s,i){if(this.#s===null){let o="There is no connection to the portrait just now.";throw new c({status:0,code:"not_connected",message:o,retryAfter:null})}let r=s===void 0||s instanceof FormData?s:JSON.stringify(s);return this.#o.request(t,`v1/sessions/${this.#s}/${e}`,r,i)}async setMicrophone(t){this.#c=t,await this.#r?.setMicrophone(t),this.#h()}useMicrophone(t){this.#d=t,this.#c!==null&&this.#h()}#h(){this.send({type:"microphone",mode:this.#c===null?"off":this.#d})}async#p(){let t=0,e=()=>{t=0};for(;this.#a;){this.#t.onPhase({name:"connecting"});let s=await this.#f(e).catch(i=>Rt(i));if(await this.#E(),!this.#a)return;t+=1,await this.#S(s,t)}}async#f(t){let[e,{Events:s},{Peer:i}]=await Promise.all([this.#t.prepare(),Promise.resolve().then(()=>(H(),B)),Promise.resolve().then(()=>(J(),Y))]),r=await this.#g(e);if(this.#s=r.session_id,this.#n=r,!this.#a)return G("client","");let o=()=>{},a=new Promise(p=>o=p),h=p=>{p.type==="session.ready"&&o(),p.type==="session.queued"&&this.#y(p.position,p.wait_s),p.type==="agent.speak_ended"&&p.interrupted&&this.#r?.hush(),this.#t.onMessage(p)},v=this.#o.address(`v1/sessions/${r.session_id}/events`),f=()=>this.#i=new s(v,h,this.#o.token,this.#i?.seq),m=f();if(r.position!==void 0){if(this.#y(r.position,r.wait_s??null),!await Promise.race([a.then(()=>!0),m.ended.then(()=>!1)]))return this.#v(r,await m.ended);this.#t.onPhase({name:"connecting"})}let l=new i(r.ice_servers,this.#u);this.#r=l;let nt=Promise.race([m.ended,l.ended.then(()=>null)]),it=this.#b(m,l,r).then(()=>!0);if(await Promise.race([it,nt.then(()=>!1),d(_t).then(()=>!1)])){t();let p=()=>this.#n===r&&this.#r===l;return Promise.resolve().then(()=>(X(),V)).then(({renew:rt})=>rt(this.#o,r,p)),this.#t.onPhase({name:"live",stream:l.stream}),this.#m(r,m,l,f)}return G(null,"The picture did not arrive. A firewall may be in the way.")}async#m(t,e,s,i){let r=!0,o=s.ended.then(()=>(r=!1,null)),a=()=>this.#a&&r;for(;;){let h=await Promise.race([e.ended,o]);if(h!==null||!a())return this.#v(t,h);let{reattach:v}=await Promise.resolve().then(()=>(Q(),K)),f=await v(i,s,a);if(f===null||f==="moved")return{...this.#v(t,null),isSoon:f==="moved"};e=f}}async#g(t){let{join:e}=this.#u;if(e!==void 0){let{ice_servers:i}=await this.#o.getInfo();return{session_id:e,ice_servers:i}}let s=this.#e;if(s?.token!==void 0)try{return await this.#o.resumeSession(s.session_id,s.token)}catch(i){if(!(i instanceof c)||i.status===503)throw i;this.#e=null}return this.#o.createSession(t)}#v(t,e){return this.#s=null,this.#e=e===null?t:null,G(e,"The connection was lost.")}#y(t,e){t>0&&this.#t.onPhase({name:"queued",position:t,seconds:e})}async#b(t,e,s){await Promise.all([t.opened,e.open(i=>this.#o.sendOffer(s,i))]),this.#c!==null&&await this.setMicrophone(this.#c)}async#S(t,e){let s=new Promise(a=>{this.#l=a});if(t.untilAsked){this.#t.onPhase({name:"closed",message:t.message,code:t.code}),await s;return}let i=t.isSoon?Lt*(1-Math.random()/2):D(e,t),{message:r,code:o}=t;this.#t.onPhase({name:"waiting",message:r,code:o,seconds:i}),await Promise.race([s,d(i*1e3)])}async#E(){let t=this.#s;this.#i?.close(),this.#r?.close(),this.#i=this.#r=this.#s=null,t!==this.#u.join&&t!==null&&await this.#o.deleteSession(t).catch(()=>{})}};function G(n,t){return{message:n===null?t:Pt[n],code:n,retryAfter:null,untilAsked:n==="idle"||n==="client"||n==="time",isSoon:!1}}function Rt(n){let t=n instanceof c?n:null;return{message:S(n),code:t?.code??null,retryAfter:t?.retryAfter??null,untilAsked:t?.code==="unauthorized",isSoon:!1}}b();var P=class extends HTMLElement{get sessionUrl(){return this.getAttribute("session-url")??""}set sessionUrl(t){this.setAttribute("session-url",t)}get mode(){let t=this.getAttribute("mode");return t==="converse"||t==="puppet"?t:"present"}set mode(t){this.setAttribute("mode",t)}get portrait(){return this.getAttribute("portrait")??""}set portrait(t){this.setAttribute("portrait",t)}get voice(){return this.getAttribute("voice")??""}set voice(t){this.setAttribute("voice",t)}get background(){return this.getAttribute("background")??""}set background(t){this.setAttribute("background",t)}get muted(){return this.hasAttribute("muted")}set muted(t){this.toggleAttribute("muted",t)}get captions(){return this.hasAttribute("captions")}set captions(t){this.toggleAttribute("captions",t)}get autoplay(){return this.hasAttribute("autoplay")}set autoplay(t){this.toggleAttribute("autoplay",t)}};var Nt=/^(.*\/)(?:v1\/sessions|view)\/([^/]+)\/?$/;function U(n,t){let e=new URL(n??"",t),[,s,i]=Nt.exec(e.pathname)??[];return e.search=e.hash="",s!==void 0&&i!==void 0?(e.pathname=s,{base:e,session:decodeURIComponent(i)}):(e.pathname.endsWith("/")||(e.pathname+="/"),{base:e,session:null})}var R=class{#t;#s=null;#n="";#e=0;constructor(t){this.#t=t}add(t,e){let[s="",...i]=Ct(e),r=t===this.#s?this.#n:"",o=Ot(r,s);this.#s=t,this.#r(o.length<=84?o:s),this.#i(s,i)}end({isInterrupted:t=!1}={}){clearTimeout(this.#e),t?this.clear():this.#e=setTimeout(()=>this.clear(),2500)}clear(){clearTimeout(this.#e),this.#s=null,this.#r("")}#i(t,[e,...s]){if(clearTimeout(this.#e),e===void 0)return;let i=()=>{this.#r(e),this.#i(e,s)};this.#e=setTimeout(i,t.length/17*1e3)}#r(t){this.#n=t,this.#t(t)}};function Ot(n,t){let e=/[\p{L}\p{N}\p{P}]$/u.test(n)&&/^[\p{L}\p{N}\p{P}]/u.test(t),s=/^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(t);return e&&!s?`${n} ${t}`:n+t}function Ct(n){let t=n.trim().split(/\s+/),e=Math.ceil(n.trim().length/84),s=Math.max(n.trim().length/e,1),i=[];for(let r of t){let o=i.at(-1),a=`${o} ${r}`;o!==void 0&&o.length<s&&a.length<=84?i[i.length-1]=a:i.push(r)}return i}var It=new Float32Array([-1,-1,1,-1,-1,1,1,1]),Mt=`
  attribute vec2 corner;
  varying vec2 place; // 0..1 from the top left of the picture
  void main() {
    place = vec2(0.5 + 0.5 * corner.x, 0.5 - 0.5 * corner.y);
    gl_Position = vec4(corner, 0.0, 1.0);
  }`,$t=`
  #ifdef GL_FRAGMENT_PRECISION_HIGH
  precision highp float;
  #else
  precision mediump float;
  #endif
  uniform sampler2D frame;
  uniform float row; // one row of the packed picture, 0..1
  varying vec2 place;
  void main() {
    // half a row inside, so that neither half bleeds into the other
    float y = clamp(0.5 * place.y, 0.5 * row, 0.5 - 0.5 * row);
    vec3 colour = texture2D(frame, vec2(place.x, y)).rgb;
    float matte = texture2D(frame, vec2(place.x, y + 0.5)).g;
    float share = clamp((matte - 0.03) / 0.94, 0.0, 1.0);
    gl_FragColor = vec4(share * colour, share);
  }`,N=class{onLayout=()=>{};onUnable=()=>{};#t;#s;#n=null;#e=null;constructor(t,e){this.#t=t,this.#s=e,e.addEventListener("webglcontextlost",i=>{i.preventDefault(),this.#n=null});let s=()=>t.requestVideoFrameCallback(()=>{this.#i(),s()});s()}#i(){let{videoWidth:t,videoHeight:e}=this.#t,s=e===2*t?"packed":"plain",i=s!==this.#e;this.#e=s,s==="packed"&&(this.#n??=Gt(this.#s),this.#n?.(this.#t),i&&this.#n===null&&this.onUnable()),i&&this.onLayout(s)}};function Gt(n){let t=n.getContext("webgl",{alpha:!0,antialias:!1,depth:!1}),e=t?.createProgram();if(!t||!e||t.isContextLost())return null;for(let[r,o]of[[t.VERTEX_SHADER,Mt],[t.FRAGMENT_SHADER,$t]]){let a=t.createShader(r);if(!a)return null;t.shaderSource(a,o),t.compileShader(a),t.attachShader(e,a)}if(t.linkProgram(e),!t.getProgramParameter(e,t.LINK_STATUS))return null;t.useProgram(e),t.bindBuffer(t.ARRAY_BUFFER,t.createBuffer()),t.bufferData(t.ARRAY_BUFFER,It,t.STATIC_DRAW);let s=t.getAttribLocation(e,"corner");t.enableVertexAttribArray(s),t.vertexAttribPointer(s,2,t.FLOAT,!1,0,0),t.bindTexture(t.TEXTURE_2D,t.createTexture());for(let r of[t.TEXTURE_WRAP_S,t.TEXTURE_WRAP_T])t.texParameteri(t.TEXTURE_2D,r,t.CLAMP_TO_EDGE);t.texParameteri(t.TEXTURE_2D,t.TEXTURE_MIN_FILTER,t.LINEAR);let i=t.getUniformLocation(e,"row");return r=>{let{videoWidth:o,videoHeight:a}=r;n.width!==o&&(n.width=n.height=o),t.viewport(0,0,o,o),t.uniform1f(i,1/a),t.texImage2D(t.TEXTURE_2D,0,t.RGB,t.RGB,t.UNSIGNED_BYTE,r),t.drawArrays(t.TRIANGLE_STRIP,0,4)}}function u(n,t={},...e){let s=Object.assign(document.createElement(n),t);return s.append(...e),s}function k(n,t){n.textContent!==t&&(n.textContent=t)}var Z=`
:host {
  display: inline-block;
  position: relative;
  overflow: hidden;
  box-sizing: border-box;
  inline-size: var(--vivant-size, min(100%, 32rem));
  aspect-ratio: 1;
  border-radius: var(--vivant-radius, 0);
  background: var(--vivant-background, #171310);
  color: var(--vivant-ink, #f3ecdf);
  font: var(--vivant-font, 1rem/1.4 system-ui, sans-serif);
  text-align: center;
}

:host([background="transparent"]) {
  background: var(--vivant-background, transparent);
}

:host([hidden]),
[hidden] {
  display: none !important;
}

.picture {
  position: absolute;
  inset: 0;
  inline-size: 100%;
  block-size: 100%;
  object-fit: var(--vivant-fit, cover);
}

.picture.away {
  visibility: hidden;
}

.captions {
  position: absolute;
  inset-inline: 6%;
  inset-block-end: 5%;
  margin: 0 auto;
  inline-size: fit-content;
  padding: 0.25em 0.6em;
  border-radius: 0.3em;
  background: var(--vivant-caption-background, rgb(13 11 9 / 78%));
  color: var(--vivant-caption-ink, #fff);
  text-wrap: balance;
  overflow-wrap: anywhere;
}

.start {
  position: absolute;
  inset: 0;
  inline-size: 100%;
  block-size: 100%;
  display: grid;
  place-content: end center; /* below the face */
  justify-items: center;
  gap: 0.6em;
  border: 0;
  padding: 0 0 9%;
  background: linear-gradient(transparent 40%, rgb(13 11 9 / 55%));
  color: #fff;
  font: inherit;
  cursor: pointer;
}

.disc {
  display: grid;
  place-content: center;
  inline-size: 4em;
  block-size: 4em;
  border-radius: 50%;
  background: var(--vivant-accent, #d9b97c);
  color: var(--vivant-on-accent, #1a140b);
  box-shadow: 0 0.3em 1.2em rgb(0 0 0 / 45%);
  transition: transform 0.15s;
}

.start:hover .disc {
  transform: scale(1.06);
}

.disc::before {
  content: "";
  border-block: 0.75em solid transparent;
  border-inline-start: 1.2em solid currentcolor;
  margin-inline-start: 0.3em;
}

.words {
  padding: 0.15em 0.7em;
  border-radius: 0.3em;
  background: rgb(13 11 9 / 72%);
}

.notice {
  position: absolute;
  inset: 0;
  display: grid;
  place-content: center;
  justify-items: center;
  gap: 0.75em;
  padding: 8%;
  background: rgb(13 11 9 / 72%);
  color: #fff;
}

.notice p {
  margin: 0;
}

.retry {
  min-block-size: 2.75em;
  padding: 0 1.2em;
  border: 1px solid currentcolor;
  border-radius: 0.4em;
  background: none;
  color: inherit;
  font: inherit;
  cursor: pointer;
}

:focus-visible {
  outline: 3px solid var(--vivant-accent, #d9b97c);
  outline-offset: -5px;
}

@media (prefers-reduced-motion: reduce) {
  .disc {
    transition: none;
  }
}
`;var tt=null,O=class{onStart=()=>{};onRetry=()=>{};onUnable=()=>{};captions=new R(t=>this.#g(t));#t=u("img",{className:"picture",alt:"",hidden:!0});#s=u("video",{className:"picture away",playsInline:!0});#n=u("canvas",{className:"picture away"});#e=u("p",{className:"captions",hidden:!0});#i=u("button",{className:"start",type:"button"});#r=u("slot",{name:"start"},"Start");#c=u("slot",{name:"sound"},"Start with sound");#d=u("p");#a=u("p");#l=u("button",{className:"retry",type:"button"});#u=u("div",{className:"notice",hidden:!0},this.#d,this.#a,this.#l);#o="plain";#h=!1;#p=!0;#f=!1;constructor(t){tt??=Ut(),t.adoptedStyleSheets=[tt];let e=u("span",{className:"disc"});e.setAttribute("aria-hidden","true");let s=u("span",{className:"words"},this.#r,this.#c);this.#i.append(e,s),this.#d.setAttribute("role","status"),E(this.#t,"picture still"),E(this.#s,"picture video"),E(this.#n,"picture canvas"),E(this.#e,"captions"),E(this.#i,"start"),E(this.#u,"notice"),E(this.#l,"retry"),t.append(this.#t,this.#s,this.#n,this.#e,this.#u,this.#i),this.#i.addEventListener("click",()=>this.onStart()),this.#l.addEventListener("click",()=>this.onRetry()),this.#t.addEventListener("load",()=>this.#t.hidden=!1);let i=new N(this.#s,this.#n);i.onLayout=r=>{this.#o=r,this.#m()},i.onUnable=()=>this.onUnable()}showStill(t){this.#t.src!==t&&(this.#t.src=t)}describe(t){this.#s.setAttribute("aria-label",t),this.#n.setAttribute("aria-label",t),this.#n.setAttribute("role","img")}offerStart(){this.#r.hidden=!1,this.#c.hidden=!0,this.#i.hidden=!1}withdrawStart(){this.#i.hidden=!0}play(t){this.#u.hidden=!0,this.#s.srcObject=t,this.#s.requestVideoFrameCallback(()=>{this.#h=!0,this.#m()}),this.listen()}async listen(){let t=this.#s;if(t.srcObject!==null){this.#i.hidden=!0,t.muted=!this.#p;try{await t.play()}catch(e){if(!(e instanceof DOMException&&e.name==="NotAllowedError"))return;this.#r.hidden=!0,this.#c.hidden=!1,this.#i.hidden=!1,t.muted=!0,await t.play()}}}clear(){this.#h=!1,this.#s.srcObject=null,this.#m(),this.captions.clear()}mute(t){this.#p=!t,t?this.#s.muted=!0:this.#h&&this.listen()}caption(t){this.#f=t,this.#e.hidden=!t||this.#e.textContent===""}notify(t){this.#u.hidden=t===null,t!==null&&(k(this.#d,t.title??t.message),k(this.#a,t.title===void 0?"":t.message),this.#l.hidden=t.action===void 0,k(this.#l,t.action??""))}#m(){let t=this.#o==="packed";this.#n.classList.toggle("away",!this.#h||!t),this.#s.classList.toggle("away",!this.#h||t),this.#t.classList.toggle("away",this.#h)}#g(t){k(this.#e,t.trim()),this.#e.hidden=!this.#f||t.trim()===""}};function E(n,t){n.setAttribute("part",t)}function Ut(){let n=new CSSStyleSheet;return n.replaceSync(Z),n}var et={"session.queued":"vivant-queued","session.ready":"vivant-ready","session.state_updated":"vivant-state","session.expiring":"vivant-expiring","session.closed":"vivant-closed","agent.speak_started":"vivant-speak-started","agent.speak_ended":"vivant-speak-ended","agent.reply.delta":"vivant-reply","subtitle.delta":"vivant-caption","user.transcript":"vivant-transcript","user.speech_started":"vivant-user-speech-started","user.speech_stopped":"vivant-user-speech-stopped","brain.tool_call":"vivant-tool-call","brain.failed":"vivant-error",warning:"vivant-warning",error:"vivant-error"};b();function st(n,t){if(!window.isSecureContext){let s=`${location.port?`:${location.port}`:""}`;return`The browser opens the ${t} only on secure pages. Open this page by https, or as http://localhost${s} on the computer that runs it.`}switch(n instanceof DOMException?n.name:""){case"NotAllowedError":return`The ${t} is blocked for this page. Allow it in the address bar's site settings, then try again.`;case"NotFoundError":case"OverconstrainedError":return`No ${t} was found. Connect one, then try again.`;case"NotReadableError":case"AbortError":return`The ${t} is in use by another program. Close that program, then try again.`;default:return`The ${t} did not open. Check that it works in another program, then try again.`}}var C=class{onLost=()=>{};#t=null;get isOpen(){return this.#t!==null}async open(){this.close();let t;try{t=await navigator.mediaDevices.getUserMedia({audio:{echoCancellation:!0,noiseSuppression:!0,autoGainControl:!0,channelCount:1}})}catch(s){let i=st(s,"microphone");throw new c({status:0,code:"microphone",message:i,retryAfter:null})}let[e]=t.getAudioTracks();if(e===void 0)throw new Error("getUserMedia gave no sound");return e.addEventListener("ended",()=>this.onLost()),this.#t=t,e}close(){for(let t of this.#t?.getTracks()??[])t.stop();this.#t=null}};var Dt=new URL("..",import.meta.url).href,I=class extends P{static observedAttributes=["session-url","mode","portrait","voice","background","muted","captions"];#t=new O(this.attachShadow({mode:"open"}));#s=this.attachInternals();#n=new C;#e=null;#i="idle";#r="idle";#c=!1;#d=[];#a=null;#l=()=>this.#e?.stop();#u=t=>{t.persisted&&this.#e!==null&&this.#v()};#o=()=>this.#e?.retry();constructor(){super(),this.#t.onStart=()=>{this.#f()},this.#t.onRetry=()=>this.#e?.retry(),this.#t.onUnable=()=>this.#w("vivant-warning",{type:"warning",code:"no_webgl",message:"This browser has no WebGL, so the background cannot be transparent."}),this.#n.onLost=()=>{this.stopMicrophone()}}connectedCallback(){addEventListener("pagehide",this.#l),addEventListener("pageshow",this.#u),addEventListener("online",this.#o),this.#e===null&&(this.#T("idle"),this.#b(),this.autoplay?this.#f():this.#t.offerStart())}disconnectedCallback(){removeEventListener("pagehide",this.#l),removeEventListener("pageshow",this.#u),removeEventListener("online",this.#o),queueMicrotask(()=>{this.isConnected||this.close()})}attributeChangedCallback(t,e,s){e!==s&&(t==="muted"?this.#t.mute(s!==null):t==="captions"?this.#t.caption(s!==null):this.#e===null?this.#b():t==="session-url"?this.#v():t==="mode"?this.#A(this.#R(e)):s!==null&&this.#A(this.#e.update({[t]:s})))}get token(){return this.#a}set token(t){t!==this.#a&&(this.#a=t,this.#e===null?this.#b():this.#v())}get phase(){return this.#i}get state(){return this.#r}get sessionId(){return this.#e?.session?.session_id??null}get microphone(){return this.#n.isOpen}async start(){if(!this.isConnected)throw A("not_connected","The avatar is not in the page.");if(this.#i==="live")return;let t=new Promise((e,s)=>this.#d.push({resolve:e,reject:s}));this.#e===null?this.#m():this.#e.retry(),await t}close(){let t=this.#e;if(this.#e=null,t===null)return;t.stop(),this.#n.close(),this.#t.clear(),this.#t.notify(null),this.#t.offerStart(),this.#T("idle"),this.#x("idle");let e=this.#d.splice(0);for(let{reject:s}of e)s(A("closed","The avatar was closed."))}async speak(t,e={}){let s=await this.#p();if(typeof t=="string"){let{utterance:i}=await s.request("POST","speak",{text:t,...e});return i}this.#k({type:"speak.start",...e});for await(let i of t)i!==""&&this.#k({type:"speak.delta",text:i});this.#k({type:"speak.end"})}async say(t){let e=await this.#p(),{turn:s}=await e.request("POST","say",{text:t});return s}interrupt(){this.#e?.interrupt()}async gesture(t,e={}){return(await(await this.#p()).request("POST","gesture",{name:t,...e})).media_time}async update(t){await(await this.#p()).update(t)}motion(t,e={}){return this.#e?.sendLossy({type:"motion",coefficients:t,...e})??!1}send(t){return this.#e?.send(t)??!1}async startMicrophone(){let t=await this.#p(),e=await this.#n.open();t.useMicrophone(this.#h),await t.setMicrophone(e)}async stopMicrophone(){this.#n.close(),await this.#e?.setMicrophone(null)}get#h(){return this.mode==="converse"?"listen":"puppet"}async#p(){if(await this.start(),this.#e===null)throw A("closed","The avatar was closed.");return this.#e}async#f(){this.#i==="live"?await this.#t.listen():await this.start().catch(()=>{})}#m(){let t;try{t=U(this.getAttribute("session-url"),this.#g())}catch{this.#N("bad_request",`session-url is no address: '${this.sessionUrl}'.`);return}let e=new y(t.base,this.#a),s=t.session;this.#t.withdrawStart();let i=new L({prepare:async()=>s===null?this.#y():{},onPhase:r=>this.#e===i&&this.#E(r),onMessage:r=>this.#e===i&&this.#P(r)},{server:e,channel:!0,...s!==null&&{join:s}});this.#e=i,i.start()}#g(){return this.hasAttribute("session-url")?document.baseURI:Dt}#v(){this.close(),this.#f()}#y(){let{portrait:t,voice:e,background:s,mode:i}=this;return{...t&&{portrait:t},...e&&{voice:e},...s&&{background:s},...i==="converse"&&{mode:i}}}#b(){this.#c||!this.isConnected||(this.#c=!0,queueMicrotask(()=>{this.#c=!1,this.#S()}))}async#S(){try{let{base:t,session:e}=U(this.getAttribute("session-url"),this.#g()),s=new y(t,this.#a),r=(e===null?this.portrait:(await s.request("GET",`v1/sessions/${e}`)).portrait)||(await s.getInfo()).default_portrait;this.#t.showStill(await s.showPortrait(r))}catch(t){this.#e===null&&this.#t.notify({message:S(t)})}}#E(t){if(t.name==="live"){this.#t.play(t.stream),this.#T("live"),this.#e?.useMicrophone(this.#h),this.#e?.session?.token===void 0&&this.#L();for(let{resolve:i}of this.#d.splice(0))i();return}this.#t.clear(),this.#x("idle"),t.name==="queued"&&this.#t.notify(j(t.position,t.seconds)),t.name==="waiting"&&this.#t.notify({message:t.message,action:"Try now"}),t.name==="closed"&&this.#t.notify({message:t.message,action:"Start again"}),t.name==="connecting"&&this.#i==="idle"&&this.#t.notify(null);let{name:e,...s}=t;this.#T(e,s),t.name==="waiting"&&this.#w("vivant-error",{type:"error",code:t.code??"not_connected",message:t.message})}#L(){let{mode:t,...e}=this.#y();Object.keys(e).length>0&&this.#A(this.#e?.update(e))}#P(t){switch(t.type){case"session.ready":this.#t.describe(`${t.portrait}, live`);break;case"session.state_updated":this.#x(t.state);break;case"agent.speak_ended":this.#t.captions.end({isInterrupted:t.interrupted});break;case"subtitle.delta":this.#t.captions.add(t.utterance,t.text);break}let e=et[t.type];e!==void 0&&this.#w(e,t),this.#w("vivant-message",t)}async#R(t){this.#e?.useMicrophone(this.#h);let e=t==="converse",s=this.mode==="converse";e===s||this.sessionId===null||await this.#e?.request("PUT","brain",s?{}:{brain:"off"})}#k(t){if(!this.send(t))throw A("not_connected","The connection was lost while speaking.")}async#A(t){try{await t}catch(e){let s=e instanceof c?e.code:"not_connected";this.#w("vivant-error",{type:"error",code:s,message:S(e)})}}#N(t,e){this.#t.notify({message:e}),this.#w("vivant-error",{type:"error",code:t,message:e});for(let{reject:s}of this.#d.splice(0))s(A(t,e))}#T(t,e={}){this.#_(this.#i,t),this.#i=t,this.#w("vivant-phase",{type:"phase",phase:t,...e})}#x(t){this.#_(this.#r,t),this.#r=t}#_(t,e){this.#s.states.delete(t),e!=="idle"&&this.#s.states.add(e)}#w(t,e){this.dispatchEvent(new CustomEvent(t,{detail:e,bubbles:!0,composed:!0}))}};function A(n,t){return new c({status:0,code:n,message:t,retryAfter:null})}b();var qt=I;customElements.get("vivant-avatar")||customElements.define("vivant-avatar",qt);export{c as ApiError,g as NetworkError,I as VivantAvatar};
